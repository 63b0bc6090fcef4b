import type { ReactNode } from 'react'

// Control and format characters, unassigned and private ones, and letters that have no ink.
const unseen = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]/u
const mark = /\p{M}/u
/** So many marks on one letter stand in writing; a pile of them grows over the lines beside it. */
const mostMarks = 3

/** Text of somebody else's, with what is invisible, reorders text or covers other text, spelled out where it stands. */
export function Visible({ text, lines = false }: { text: string; lines?: boolean }) {
  const parts: ReactNode[] = []
  let plain = ''
  let marks = 0
  for (const char of text) {
    marks = mark.test(char) ? marks + 1 : 0
    if ((lines && char === '\n') || (marks <= mostMarks && !unseen.test(char))) {
      plain += char
      continue
    }
    if (plain !== '') parts.push(plain)
    plain = ''
    const code = `U+${(char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`
    parts.push(
      <span key={parts.length} className="unseen" title="a character that cannot be seen, or covers others">
        {code}
      </span>,
    )
  }
  return (
    <bdi>
      {parts}
      {plain}
    </bdi>
  )
}
