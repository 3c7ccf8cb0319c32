import { type IncomingMessage, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { refuseForeign } from '../../../scripts/local/host-check';

/** @param origin of the page that asks; absent where none does */
async function statusFor(host: string, allowed?: string, origin?: string): Promise<number | undefined> {
  const app = express().use(refuseForeign(allowed));
  app.use((_request, response) => {
    response.sendStatus(200);
  });
  const server = app.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  try {
    const { port } = server.address() as AddressInfo;
    const response = await new Promise<IncomingMessage>((resolve, reject) =>
      request(
        { host: '127.0.0.1', port, headers: { host, ...(origin !== undefined && { origin }) } },
        resolve,
      )
        .on('error', reject)
        .end(),
    );
    response.resume();
    return response.statusCode;
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

describe('Host', () => {
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
});

describe('Origin', () => {
  const statusFrom = (origin: string, host = 'localhost:1337', allowed?: string) =>
    statusFor(host, allowed, origin);

  it.each([
    'http://localhost',
    'http://localhost:5173',
    'https://localhost:8443',
    'http://app.localhost:3000',
    'http://127.0.0.1:1337',
    'http://[::1]:8080',
    'ws://127.0.0.1:1337',
    'capacitor://localhost',
    'ionic://localhost',
  ])('lets %s pass', async (origin) => {
    expect(await statusFrom(origin)).toBe(200);
  });

  it.each([
    'null',
    '',
    'localhost',
    'https://evil.example',
    'http://localhost.evil.example',
    'http://evillocalhost',
    'http://evil.example:80/localhost',
    'http://localhost@evil.example',
    'http://evil.example@localhost',
    'http://localhost, http://evil.example',
    'http://evil.example, http://localhost',
    'http://192.168.0.7:5173',
    'http://0.0.0.0',
    'capacitor://evil.example',
    'file://',
    'file://localhost',
    'chrome-extension://localhost',
  ])('refuses %p', async (origin) => {
    expect(await statusFrom(origin)).toBe(403);
  });

  it('lets the name that HOST gives pass, and no other', async () => {
    for (const host of ['laptop.local:1337', 'localhost:1337']) {
      expect(await statusFrom('http://Laptop.local:5173', host, 'laptop.local')).toBe(200);
      expect(await statusFrom('http://localhost:5173', host, 'laptop.local')).toBe(200);
      expect(await statusFrom('http://evil.example', host, 'laptop.local')).toBe(403);
    }
    expect(await statusFrom('null', 'localhost', '')).toBe(403);
  });

  it("lets this machine's address pass when HOST stands for all of them, but no other: anybody can have one", async () => {
    expect(await statusFrom('http://192.168.0.7:5173', '192.168.0.7:1337', '0.0.0.0')).toBe(200);
    expect(await statusFrom('http://[fe80::1]:5173', '[fe80::1]:1337', '::')).toBe(200);
    expect(await statusFrom('http://localhost:5173', '192.168.0.7:1337', '0.0.0.0')).toBe(200);
    expect(await statusFrom('http://203.0.113.7', '192.168.0.7:1337', '0.0.0.0')).toBe(403);
    expect(await statusFrom('http://203.0.113.7', '127.0.0.1:1337', '0.0.0.0')).toBe(403);
    expect(await statusFrom('null', '192.168.0.7:1337', '0.0.0.0')).toBe(403);
  });
});
