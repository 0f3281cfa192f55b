// server.js: Trivet servers for the page: started on free ports of the loopback, spoken to in RESP, ended with their folder.
'use strict';

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');

const PATIENCE_MS = 40_000; // only a hung server is that slow
const program = process.env.TRIVET_SERVER || path.join(__dirname, '../../build/release/trivet-server');
const running = new Set();

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Waits until the condition gives something that is not false, and answers that.
async function eventually(what, condition, patience = PATIENCE_MS) {
  const deadline = Date.now() + patience;
  for (;;) {
    const found = await condition();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`never happened: ${what}`);
    await pause(20);
  }
}

// Ports that nobody has now.
async function freePorts(n) {
  const takers = await Promise.all(Array.from({ length: n }, () => new Promise((resolve, reject) => {
    const taker = net.createServer().once('error', reject).listen(0, '127.0.0.1', () => resolve(taker));
  })));
  const ports = takers.map((taker) => taker.address().port);
  await Promise.all(takers.map((taker) => new Promise((resolve) => taker.close(resolve))));
  return ports;
}

// A connection that sends commands and counts their replies; it does not look into arrays, so ask it for simple ones.
class Connection {
  #socket;
  #rest = '';
  #waiting = [];
  #error = null;

  constructor(port) {
    this.#socket = net.connect(port, '127.0.0.1').setEncoding('latin1').setNoDelay(true);
    this.#socket.on('data', (bytes) => this.#read(bytes));
    this.#socket.on('error', (error) => this.#end(error));
    this.#socket.on('close', () => this.#end(new Error('the connection was closed')));
  }

  #read(bytes) {
    this.#rest += bytes;
    for (;;) {
      const end = this.#rest.indexOf('\r\n');
      if (end < 0) return;
      let line = this.#rest.slice(0, end), used = end + 2;
      if (line[0] === '$' && line !== '$-1') {
        const length = Number(line.slice(1));
        if (this.#rest.length < used + length + 2) return;
        line = '$' + this.#rest.slice(used, used + length);
        used += length + 2;
      }
      this.#rest = this.#rest.slice(used);
      this.#waiting.shift()?.resolve(line);
    }
  }

  #end(error) {
    this.#error ??= error;
    for (const { reject } of this.#waiting.splice(0)) reject(this.#error);
  }

  // The reply's first line without its line end; a bulk string as "$" and its bytes.
  send(...words) {
    if (this.#error) return Promise.reject(this.#error);
    const bytes = [`*${words.length}\r\n`, ...words.map((word) => `$${Buffer.byteLength(String(word))}\r\n${word}\r\n`)].join('');
    this.#socket.write(bytes);
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  // Many commands at once; answers when all have their replies.
  flood(n, words) {
    return Promise.all(Array.from({ length: n }, (_, i) => this.send(...words(i))));
  }

  // Reads nothing more, so that what the server sends piles up there. Its being cut is no error then.
  stall() {
    this.#socket.pause();
  }

  close() {
    this.#socket.destroy();
  }
}

class Server {
  #process = null;
  #exit = null;
  #log = '';

  // Options are directives by name; ports are found if none are given.
  static async start(options = {}) {
    const server = new Server();
    [server.port, server.metricsPort] = await freePorts(2);
    server.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'trivet-page-'));
    server.options = options;
    await server.launch();
    return server;
  }

  get url() {
    return `http://127.0.0.1:${this.metricsPort}/`;
  }

  async launch() {
    const directives = {
      port: this.port, bind: '127.0.0.1', 'metrics-port': this.metricsPort, 'metrics-bind': '127.0.0.1',
      dir: this.folder, save: '', 'io-threads': 2, ...this.options,
    };
    const words = Object.entries(directives).flatMap(([name, value]) => [`--${name}`, String(value)]);
    const child = spawn(program, words, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#process = child;
    this.#exit = new Promise((resolve) => child.once('close', resolve));
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => (this.#log += bytes));
    running.add(this);
    let ended = false;
    this.#exit.then(() => (ended = true));
    await eventually('the server answers PING', async () => {
      if (ended) throw new Error(`the server ended while starting:\n${this.#log.slice(-2000)}`);
      const answer = await this.once('PING').catch(() => '');
      return answer === '+PONG' || answer.startsWith('-NOAUTH');
    });
  }

  connect() {
    return new Connection(this.port);
  }

  // One command on a connection of its own.
  async once(...words) {
    const connection = this.connect();
    try {
      return await connection.send(...words);
    } finally {
      connection.close();
    }
  }

  // Ends it; the folder stays, so that it can be launched again.
  async stop(signal = 'SIGTERM') {
    if (!this.#process) return;
    this.#process.kill(signal);
    const late = setTimeout(() => this.#process.kill('SIGKILL'), PATIENCE_MS);
    await this.#exit;
    clearTimeout(late);
    this.#process = null;
  }

  async remove() {
    await this.stop();
    fs.rmSync(this.folder, { recursive: true, force: true });
    running.delete(this);
  }
}

// Whatever happens, nothing of ours goes on running.
const removeAll = () => Promise.all([...running].map((server) => server.remove()));

module.exports = { Server, eventually, pause, removeAll };
