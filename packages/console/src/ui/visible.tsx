import type { ReactNode } from 'react'

// Control and format characters, unassigned and private ones, and letters that have no ink.
const unseen = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/u

/** Text of somebody else's, with what is invisible, or reorders text, spelled out where it stands. */
export function Visible({ text, lines = false }: { text: string; lines?: boolean }) {
  const parts: ReactNode[] = []
  let plain = ''
  for (const char of text) {
    if ((lines && char === '\n') || !unseen.test(char)) {
      plain += char
      continue
    }
    if (plain !== '') parts.push(plain)
    plain = ''
    const code = `U+${(char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`
    parts.push(
      <span key={parts.length} className="unseen" title="a character that cannot be seen">
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
