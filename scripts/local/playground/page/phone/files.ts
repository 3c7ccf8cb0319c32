import Parse from 'parse';

// The one name under which all are uploaded: the real one would be in the address of the upload, and so in access logs.
const UPLOADED_AS = 'e2ee.bin';

/** Puts the name and the type of a file before its bytes, so that all three are encrypted together. */
export function pack(file: File): Blob {
  const label = new TextEncoder().encode(JSON.stringify({ name: file.name, type: file.type }));
  const labelLength = new Uint8Array(4);
  new DataView(labelLength.buffer).setUint32(0, label.length);
  return new Blob([labelLength, label, file]);
}

/** The type is the sender's word. Show what you know (`image/jpeg` in an `<img>`), and never open it as a page. */
export async function unpack(packed: Blob): Promise<File> {
  const start = 4 + new DataView(await packed.slice(0, 4).arrayBuffer()).getUint32(0);
  const { name, type } = JSON.parse(await packed.slice(4, start).text());
  return new File([packed.slice(start)], name, { type });
}

/** @throws Parse.Error: 142 for what is not encrypted, 116 for what is too large */
export async function upload(file: Blob, sessionToken: string): Promise<Parse.File> {
  const parseFile = new Parse.File(UPLOADED_AS, file as File, 'application/octet-stream');
  return (await parseFile.save({ sessionToken })) as Parse.File;
}

export async function download(file: Parse.File): Promise<Blob> {
  // In your app: fetch(file.url()). This page may be open under another name of this machine than the server knows.
  const answer = await fetch(new URL(file.url() as string).pathname);
  if (!answer.ok) throw new Error(`The file is not there: ${answer.status}.`);
  return answer.blob();
}
