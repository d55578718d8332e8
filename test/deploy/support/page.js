// Reads the examples of a page in docs. A comment says what each code block is:
//
//   <!-- example: clone -->             commands in a clone of this repository
//   <!-- example: run -->               commands in the folder of the reader
//   <!-- example: run, repeated -->     the same, until their output is there
//   <!-- example: run, exit code 3 -->  the same, of which the last one fails
//   <!-- example: output -->            the output of the preceding commands
//   <!-- example: output NAME -->       further output in a terminal
//   <!-- example: file NAME -->         a file of the reader
//   <!-- example: append NAME -->       lines at its end
//   <!-- example: terminal NAME -->     commands that keep running in a terminal
//   <!-- example: type NAME -->         a line that the reader types there
//   <!-- example: Ctrl-C NAME -->       no block: the reader ends the commands
//
// In an output "…" stands for any text in a line.
import { stripVTControlCharacters } from "node:util";

const marker = /<!-- example: (\w[\w-]*)(?: ([^,\n]+?))?(?:, ([^\n]+?))? -->(?:\n```(?:\w+)\n(.*?)```)?|^```(?:\w*)\n/gms;

/**
 * Returns the sections of a page with examples, in order.
 * @param {string} text
 * @returns {{title: string, examples: {verb: string, name?: string, option?: string, content: string}[]}[]}
 */
export function readPage(text) {
  return text
    .split(/^## /m)
    .slice(1)
    .map((section) => ({ title: section.slice(0, section.indexOf("\n")), examples: readExamples(section) }))
    .filter(({ examples }) => examples.length > 0);
}

function readExamples(section) {
  const examples = [];
  for (const [whole, verb, name, option, content] of section.matchAll(marker)) {
    if (verb === undefined) throw new Error(`a code block has no marker: ${section.slice(0, 40)}…`);
    if ((content === undefined) !== (verb === "Ctrl-C")) throw new Error(`${whole} has the wrong block`);
    examples.push({ verb, name, option, content: content ?? "" });
  }
  return examples;
}

const erase = "\x1b[K"; // the rest of the line

/**
 * lines returns the lines of an output without colors and repeated blanks, and without
 * the prompts that their program has erased.
 */
export function lines(text) {
  const parts = text.split(erase);
  const last = parts.pop();
  const kept = parts.map((part) => part.slice(0, part.lastIndexOf("\n") + 1)).join("") + last;
  return stripVTControlCharacters(kept)
    .replaceAll("\r", "")
    .split("\n")
    .map((line) => line.replace(/ +/g, " ").trim());
}

/** patterns returns an expression for each line of an expected output. */
export function patterns(expected) {
  const escaped = lines(expected.replace(/\n$/, "")).map((line) =>
    line.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replaceAll("…", ".*"),
  );
  return escaped.map((line) => new RegExp(`^${line}$`));
}

/** find returns the number of the line behind an output, or -1. */
export function find(all, expected, from) {
  for (let i = from; i + expected.length <= all.length; i++) {
    if (expected.every((pattern, k) => pattern.test(all[i + k]))) return i + expected.length;
  }
  return -1;
}
