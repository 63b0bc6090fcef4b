import type { Budget, Taken } from '../types.ts'
import { like, number } from '../ui/numbers.ts'

/** How much of a grant is used, with a bar where there is a limit. */
export function Meters({ budget, taken }: { budget: Budget; taken: Taken }) {
  return (
    <div className="meters">
      {Object.entries(budget.cost ?? {}).map(([currency, most]) => (
        <Meter key={currency} label={currency} used={taken.cost[currency] ?? '0'} most={most} />
      ))}
      <Meter label="Calls" used={taken.calls} most={budget.calls} />
      {budget.egress_bytes === undefined ? null : (
        <Meter
          label={taken.unmeasured > 0 ? `Bytes out (used up: unknown for ${taken.unmeasured} calls)` : 'Bytes out'}
          used={taken.unmeasured > 0 ? Math.max(taken.egress_bytes, budget.egress_bytes) : taken.egress_bytes}
          most={budget.egress_bytes}
        />
      )}
    </div>
  )
}

function Meter({ label, used, most }: { label: string; used: number | string; most: number | string | undefined }) {
  const part = most === undefined || Number(most) === 0 ? 0 : Number(used) / Number(most)
  return (
    <div className={`meter ${part >= 0.9 ? 'full' : part >= 0.7 ? 'near' : ''}`}>
      <span className="meter-label">
        {label}
        <span className="meter-value">
          {number(most === undefined ? used : like(used, most))}
          {most === undefined ? ' used, no limit' : ` of ${number(most)}`}
        </span>
      </span>
      {most === undefined ? null : (
        <progress value={Number(used)} max={Math.max(Number(most), 1)} aria-label={`${label} used`} />
      )}
    </div>
  )
}
