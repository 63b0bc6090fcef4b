import { Visible } from '../ui/visible.tsx'
import type { Differences } from './differences.ts'
import { counted } from './summary.ts'

/** How denied and failed calls differ from the others, as pairs of bars that are a table too. */
export function DifferencesTable({ differences: { bad, good, all } }: { differences: Differences }) {
  if (all.length === 0) return null
  return (
    <details className="differences">
      <summary>What sets denied and failed calls apart</summary>
      <table>
        <caption className="hint">
          How many of {counted(bad, 'call')} that were denied or went wrong, and of {counted(good, 'other call')}, have
          this. Of the calls that are listed.
        </caption>
        <thead>
          <tr>
            <th scope="col">What</th>
            <th scope="col">Denied or failed</th>
            <th scope="col">Others</th>
          </tr>
        </thead>
        <tbody>
          {all.map(({ name, value, inBad, inGood }) => (
            <tr key={JSON.stringify([name, value])}>
              <th scope="row">
                <small>
                  <Visible text={name} />
                </small>
                <Visible text={value} />
              </th>
              <Share part={inBad} className="denied" />
              <Share part={inGood} className="allowed" />
            </tr>
          ))}
        </tbody>
      </table>
    </details>
  )
}

function Share({ part, className }: { part: number; className: string }) {
  const percent = `${Math.round(part * 100)} %`
  return (
    <td>
      {percent}
      <svg className="share" aria-hidden="true" width="100%" height="6">
        <rect className={className} width={`${part * 100}%`} height="6" />
      </svg>
    </td>
  )
}
