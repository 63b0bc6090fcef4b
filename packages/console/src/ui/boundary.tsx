import { Component, type ReactNode } from 'react'
import { Failed } from './parts.tsx'

interface Caught {
  error: unknown
}

/** Without a boundary, React empties the page when a component throws. This shows the error, and offers to reload. */
export class Boundary extends Component<{ children: ReactNode }, { caught?: Caught }> {
  override state: { caught?: Caught } = {}

  static getDerivedStateFromError(error: unknown): { caught: Caught } {
    return { caught: { error } }
  }

  override render(): ReactNode {
    const { caught } = this.state
    return caught === undefined ? this.props.children : <Crashed error={caught.error} />
  }
}

function Crashed({ error }: Caught) {
  return (
    <div className="outside">
      <div className="outside-card">
        <h1>This page failed</h1>
        <p>The console cannot show what the server sent. An answer that you signed and sent still counts.</p>
        <Failed error={error} />
        <button type="button" className="primary" onClick={() => location.reload()}>
          Reload
        </button>
      </div>
    </div>
  )
}
