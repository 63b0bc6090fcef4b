#!/usr/bin/env node
// The command of the published package. In old syntax: a Node.js that cannot run Bailiwick must be able to read this file.
if (Number(process.versions.node.split('.')[0]) < 24) {
  console.error(`bailiwick: Node.js 24 or later is needed, and this is ${process.version}`)
  process.exitCode = 2
} else {
  await import('../dist/packages/cli/src/main.js')
}
