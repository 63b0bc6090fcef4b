const unprintable = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\u2028\u2029]/gu

/**
 * Text that cannot act on a terminal or look like other text: control, formatting (bidirectional, invisible) and private
 * characters become `\u{…}`. Names and reasons come from agents and from other people's files.
 */
export function printable(text: string): string {
  return text.replaceAll(unprintable, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`)
}
