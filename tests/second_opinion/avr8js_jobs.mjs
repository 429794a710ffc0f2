// Calls routines in avr8js: each line of standard input is a job in JSON, each line printed is its
// outcome. Bytes are base64; addresses are in bytes. `avr8js.py` writes the jobs.
import { createInterface } from 'node:readline';
import { CPU, avrInstruction } from 'avr8js';

const REGISTER_SPACE = 0x100; // what avr8js adds to the size of RAM that it is given
const bytes = (text) => Buffer.from(text, 'base64');

// A part with erased flash but for the image, about to execute the routine's first instruction.
function prepare(job) {
  const flash = new Uint8Array(job.flashSize).fill(0xff); // its size decides on a 22-bit PC
  flash.set(bytes(job.image), job.origin);
  const cpu = new CPU(new Uint16Array(flash.buffer), job.ramEnd - REGISTER_SPACE);
  for (const [address, data] of job.writes) cpu.data.set(bytes(data), address);
  const returnAddress = bytes(job.returnAddress); // as it lies in memory, the high byte first
  if (cpu.pc22Bits !== (returnAddress.length === 3)) throw new Error('wrong size of the PC');
  cpu.data.set(returnAddress, job.stack + 1 - returnAddress.length);
  cpu.SP = job.stack - returnAddress.length;
  cpu.pc = job.entry / 2;
  return cpu;
}

// avr8js keeps its PC within flash, so an address to return to that lies outside wraps around.
function run(cpu, job) {
  const target = bytes(job.returnAddress).reduce((value, byte) => value * 256 + byte, 0);
  const end = target % cpu.progMem.length;
  while (cpu.pc !== end && cpu.cycles < job.limit) avrInstruction(cpu);
  if (cpu.pc !== end) return 'cycle limit reached';
  return cpu.SP === job.stack ? 'returned' : 'returned with an unbalanced stack';
}

function outcome(job) {
  const cpu = prepare(job);
  const reason = run(cpu, job);
  const memory = Buffer.from(cpu.data).toString('base64');
  return { cycles: cpu.cycles, reason, memory };
}

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(outcome(JSON.parse(line))));
}
