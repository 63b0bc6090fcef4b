import { useEffect } from 'react'

let [page, waiting] = ['', 0]

function show(): void {
  document.title = `${waiting > 0 ? `(${waiting}) ` : ''}${page === '' ? '' : `${page} · `}Bailiwick`
}

const longestTitle = 70

/** The title of the page that shows this; undefined: it is only a part of a page. Untrusted text is cut, and characters that cannot be seen are replaced. */
export function useTitle(title: string | undefined): void {
  useEffect(() => {
    if (title === undefined) return
    const characters = [...title.replace(/[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu, '\ufffd')]
    page = characters.length > longestTitle ? `${characters.slice(0, longestTitle).join('')}…` : characters.join('')
    show()
  }, [title])
}

/** How many requests wait for the person: the window says so while another one has the focus. */
export function useWaiting(count: number): void {
  useEffect(() => {
    waiting = count
    show()
    return () => {
      waiting = 0
    }
  }, [count])
}
