import { type IncomingMessage, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { checkHost } from '../../../scripts/local/host-check';

async function statusFor(host: string, allowed?: string): Promise<number | undefined> {
  const app = express().use(checkHost(allowed));
  app.use((_request, response) => {
    response.sendStatus(200);
  });
  const server = app.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  try {
    const { port } = server.address() as AddressInfo;
    const response = await new Promise<IncomingMessage>((resolve, reject) =>
      request({ host: '127.0.0.1', port, headers: { host } }, resolve).on('error', reject).end(),
    );
    response.resume();
    return response.statusCode;
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

it.each([
  'localhost',
  'localhost:1337',
  'LOCALHOST:1337',
  'app.localhost:1',
  '127.0.0.1:1337',
  '[::1]:1337',
  '[::1]',
])('lets %s pass', async (host) => {
  expect(await statusFor(host)).toBe(200);
});

it.each([
  'evil.example',
  'evil.example:1337',
  'localhost.evil.example',
  'evillocalhost',
  '127.0.0.1.evil.example',
  '127.0.0.1:1337:1',
  'localhost@evil.example',
  'evil.example@localhost',
  'evil.example/localhost',
  '192.168.0.7:1337',
  '0.0.0.0',
])('refuses %p', async (host) => {
  expect(await statusFor(host)).toBe(403);
});

it('lets the name that HOST gives pass, and no other', async () => {
  expect(await statusFor('Laptop.local:1337', 'laptop.local')).toBe(200);
  expect(await statusFor('localhost:1337', 'laptop.local')).toBe(200);
  expect(await statusFor('evil.example', 'laptop.local')).toBe(403);
});

it('lets any IP address pass when HOST stands for all of them, but no domain', async () => {
  expect(await statusFor('192.168.0.7:1337', '0.0.0.0')).toBe(200);
  expect(await statusFor('[fe80::1]:1337', '::')).toBe(200);
  expect(await statusFor('evil.example', '0.0.0.0')).toBe(403);
});
