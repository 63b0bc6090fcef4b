const unprintable = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu

/**
 * Makes text harmless: it cannot act on a terminal or look like other text. Control, formatting (bidirectional, invisible) and private
 * characters become `\uXXXX`, which is the same text if the line is JSON. Names and reasons come from agents and from other people's files.
 */
export function printable(text: string): string {
  return text.replaceAll(unprintable, (character) =>
    Array.from(
      { length: character.length },
      (_, at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`,
    ).join(''),
  )
}
