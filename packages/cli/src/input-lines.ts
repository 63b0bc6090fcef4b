/** Splits lines by bytes, without the line feed. readline would also end a line at U+2028 inside JSON. */
export async function* inputLines(input: AsyncIterable<Uint8Array> | Uint8Array[]): AsyncGenerator<Buffer> {
  let begun: Uint8Array[] = []
  for await (const chunk of input) {
    let from = 0
    for (let end = chunk.indexOf(0x0a); end !== -1; end = chunk.indexOf(0x0a, from)) {
      yield Buffer.concat([...begun, chunk.subarray(from, end)])
      begun = []
      from = end + 1
    }
    begun.push(chunk.subarray(from))
  }
  const last = Buffer.concat(begun)
  if (last.length > 0) yield last
}
