import type { ReactNode } from 'react'

// Control and format characters, unassigned and private ones, and letters without a visible shape.
const unseen = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]/u
const mark = /\p{M}/u
/** Real writing has this many marks on one letter; more of them would grow over the lines around it. */
const mostMarks = 3

/** Untrusted text, in which invisible, reordering and covering characters are spelled out in place. */
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
