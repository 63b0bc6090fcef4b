import type { ReactNode } from 'react'

// Control and format characters, unassigned and private ones, and letters without a visible shape.
const unseen = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]/u
const mark = /\p{M}/u
/** Real writing has this many marks on one letter; more of them would grow over the lines around it. */
const mostMarks = 3
/** As many of these characters get an element each. Further ones are spelled in the text: it can be full of them, and a page cannot. */
const mostElements = 1000

/** Untrusted text, in which invisible, reordering and covering characters are spelled out in place. */
export function Visible({ text, lines = false }: { text: string; lines?: boolean }) {
  const parts: ReactNode[] = []
  let plain = ''
  let marks = 0
  let elements = 0
  const spell = (code: string) => {
    if (elements++ >= mostElements) {
      plain += `[${code}]`
      return
    }
    if (plain !== '') parts.push(plain)
    plain = ''
    parts.push(
      <span key={parts.length} className="unseen" title="a character that cannot be seen, or covers others">
        {code}
      </span>,
    )
  }
  for (const char of text) {
    marks = mark.test(char) ? marks + 1 : 0
    if ((lines && char === '\n') || (marks <= mostMarks && !unseen.test(char))) plain += char
    else spell(`U+${(char.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`)
  }
  return (
    <bdi>
      {parts}
      {plain}
    </bdi>
  )
}
