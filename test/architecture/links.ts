import { posix } from 'node:path'
import type { SourceFile } from './repository.ts'

/** A link of a Markdown page that leads to no other site. */
interface Link {
  /** As it is written. */
  written: string
  /** From the repository's root. */
  path: string
  /** Without `#`; empty where the link names a whole page. */
  anchor: string
}

const withoutCode = (text: string): string => text.replace(/^ *```[\s\S]*?^ *```/gm, '').replace(/`[^`\n]*`/g, 'x')

/** Links and images of a page, with paths from the repository's root. */
export function linksOf({ path, text }: SourceFile): Link[] {
  const written = [...withoutCode(text).matchAll(/\]\(<?([^)\s>]+)>?(?: "[^"]*")?\)/g)].map(([, link = '']) => link)
  return written
    .filter((link) => !/^[a-z]+:/.test(link))
    .map((link) => {
      const [to = '', anchor = ''] = link.split('#')
      return { written: link, path: to === '' ? path : posix.join(posix.dirname(path), to), anchor }
    })
}

/** The anchors of a page, as GitHub makes them of its headings. */
export function anchorsOf(text: string): Set<string> {
  const anchors = new Set<string>()
  for (const [, heading = ''] of text.replace(/^ *```[\s\S]*?^ *```/gm, '').matchAll(/^#+ +(.+?) *$/gm)) {
    const plain = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase()
    const slug = plain.replace(/[^\p{L}\p{N}_\- ]/gu, '').replaceAll(' ', '-')
    let anchor = slug
    for (let n = 1; anchors.has(anchor); n += 1) anchor = `${slug}-${n}`
    anchors.add(anchor)
  }
  for (const [, id = ''] of text.matchAll(/<a id="([^"]+)"/g)) anchors.add(id)
  return anchors
}

/** Links that lead nowhere. `exists` says of a path whether a file or folder is there. */
export function linkProblems(pages: readonly SourceFile[], exists: (path: string) => boolean): string[] {
  const anchors = new Map(pages.map(({ path, text }) => [path, anchorsOf(text)]))
  return pages.flatMap((page) =>
    linksOf(page).flatMap(({ written, path, anchor }) => {
      if (path.startsWith('../') || !exists(path)) return [`${page.path} -> ${written}: no such file`]
      const known = anchors.get(path)
      return anchor === '' || known === undefined || known.has(anchor)
        ? []
        : [`${page.path} -> ${written}: no such heading`]
    }),
  )
}

/** Pages to which no chain of links leads from `start`. */
export function unreachable(pages: readonly SourceFile[], start: string): string[] {
  const byPath = new Map(pages.map((page) => [page.path, page]))
  const seen = new Set<string>()
  const waiting = [start]
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    const page = byPath.get(path)
    if (page === undefined || seen.has(path)) continue
    seen.add(path)
    waiting.push(...linksOf(page).map((link) => link.path))
  }
  return pages.map(({ path }) => path).filter((path) => !seen.has(path))
}

/** Paths of pages below docs/ that a text names, wherever they stand. */
export const namedPages = (text: string): string[] => text.match(/\bdocs\/[a-z0-9/.-]+?\.md\b/g) ?? []
