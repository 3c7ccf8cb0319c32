import { useEffect, useRef, useState } from 'preact/hooks';
import type { StoredFile } from '../stored-messages';

/** A photo on a phone, under its real name. */
export function Photo({ photo }: { photo: File }) {
  const [url, setUrl] = useState('');
  useEffect(() => {
    const made = URL.createObjectURL(photo);
    setUrl(made);
    return () => URL.revokeObjectURL(made);
  }, [photo]);
  return (
    <figure class="photo">
      {/* The type is the sender's word: nothing but a picture is shown. */}
      {url && photo.type.startsWith('image/') && <img src={url} alt="" />}
      <figcaption>{photo.name}</figcaption>
    </figure>
  );
}

/** The same photo on the server: each byte of it a grey dot. */
export function Noise({ noise }: Pick<StoredFile, 'noise'>) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const picture = canvas.current?.getContext('2d');
    if (!picture) return;
    const { width, height } = picture.canvas;
    const dots = picture.createImageData(width, height);
    for (const [index, byte] of Buffer.from(noise, 'base64').entries()) {
      dots.data.set([byte, byte, byte, 255], 4 * index);
    }
    picture.putImageData(dots, 0, 0);
  }, [noise]);
  return <canvas class="dots" ref={canvas} width={96} height={30} role="img" aria-label="Noise" />;
}

/** A photo for who has none at hand: an evening at a lake. */
export async function drawSample(): Promise<File> {
  const [width, height, shore] = [800, 450, 300];
  const canvas = new OffscreenCanvas(width, height);
  const draw = canvas.getContext('2d') as OffscreenCanvasRenderingContext2D;
  const fill = (from: number, to: number, ...colours: string[]) => {
    const gradient = draw.createLinearGradient(0, from, 0, to);
    for (const [index, colour] of colours.entries()) {
      gradient.addColorStop(index / (colours.length - 1), colour);
    }
    draw.fillStyle = gradient;
  };
  fill(0, shore, '#2a2f6b', '#8a4f8f', '#f0805f', '#ffd08a');
  draw.fillRect(0, 0, width, shore);
  draw.fillStyle = '#fff1c9';
  draw.beginPath();
  draw.arc(520, 176, 44, 0, 2 * Math.PI);
  draw.fill();
  const ridges = [
    [232, 26, 90, '#8d5a8c'],
    [258, 20, 57, '#54386e'],
    [284, 10, 31, '#2c2350'],
  ] as const;
  for (const [base, rise, period, colour] of ridges) {
    draw.fillStyle = colour;
    draw.beginPath();
    draw.moveTo(0, shore);
    for (let x = 0; x <= width; x += 4) {
      draw.lineTo(x, base - rise * (Math.sin(x / period) + 0.5 * Math.sin((2.3 * x) / period + base)));
    }
    draw.lineTo(width, shore);
    draw.fill();
  }
  fill(shore, height, '#d9775f', '#6a4a86', '#232452');
  draw.fillRect(0, shore, width, height - shore);
  draw.fillStyle = '#ffe3ad';
  for (let y = shore + 6; y < height; y += 11) {
    const reach = 46 + 22 * Math.sin(y * 1.7) - (y - shore) / 6;
    draw.globalAlpha = 0.75 - (y - shore) / 260;
    draw.fillRect(520 - reach + 9 * Math.sin(y), y, 2 * reach, 4);
  }
  const blob = await canvas.convertToBlob({ type: 'image/jpeg', quality: 0.85 });
  return new File([blob], 'Evening at the lake.jpg', { type: blob.type });
}
