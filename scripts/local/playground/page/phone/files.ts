import Parse from 'parse';
import type { Content } from './cipher';

// The one name under which all are uploaded: the real one would be in the address of the upload, and so in access logs.
const UPLOADED_AS = 'e2ee.bin';

/** Puts the text, and the photo's name and type, before the photo's bytes, so that all of it is encrypted together. */
export function pack({ text = '', photo }: Partial<Content>): Blob {
  const { name, type } = photo ?? {};
  const label = new TextEncoder().encode(JSON.stringify({ text, name, type }));
  const labelLength = new Uint8Array(4);
  new DataView(labelLength.buffer).setUint32(0, label.length);
  return new Blob([labelLength, label, ...(photo ? [photo] : [])]);
}

/** The type is the sender's word. Show what you know (`image/jpeg` in an `<img>`), and never open it as a page. */
export async function unpack(packed: Blob): Promise<Content> {
  const start = 4 + new DataView(await packed.slice(0, 4).arrayBuffer()).getUint32(0);
  const { text, name, type } = JSON.parse(await packed.slice(4, start).text());
  return { text, photo: name === undefined ? undefined : new File([packed.slice(start)], name, { type }) };
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
