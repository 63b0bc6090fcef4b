/**
 * The first place between two pages that neither page holds: `page` is the place of the page that is missing, and `begins` its cursor.
 * `nexts`: where each page's answer says that the next one begins; undefined at the end of the list, and before the answer.
 */
export function gapIn(
  cursors: readonly string[],
  nexts: readonly (string | undefined)[],
): { page: number; begins: string } | undefined {
  for (let page = 1; page < cursors.length; page++) {
    const begins = nexts[page - 1]
    if (begins !== undefined && begins !== cursors[page]) return { page, begins }
  }
  return undefined
}
