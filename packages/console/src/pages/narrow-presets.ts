import type { AccessDetail, Authority } from '../types.ts'
import { half } from '../ui/amounts.ts'

/** Where a narrowing begins. `minutes`: as long as it would last; undefined: as asked. */
export interface Preset {
  title: string
  authority: Authority
  minutes: number | undefined
}

/** The beginnings that a request offers, by name. */
export function presetsOf(
  { authority, last }: { authority: Authority; last: AccessDetail['last_approved'] },
  minutesLeft: number,
): Map<string, Preset> {
  const presets = new Map<string, Preset>([['asked', { title: 'As asked', authority, minutes: undefined }]])
  const common = last?.as_last_time ?? null
  if (common !== null)
    presets.set('last', {
      title: 'As last time',
      authority: common.authority,
      minutes: common.minutes < minutesLeft ? common.minutes : undefined,
    })
  presets.set('half', {
    title: 'Half of each bound',
    authority: halved(authority),
    minutes: Math.max(1, Math.floor(minutesLeft / 2)),
  })
  return presets
}

/** Half the uses, amounts, calls, money and bytes. The rules for delegation are no amounts, and stay. */
export function halved(authority: Authority): Authority {
  const { permissions, budget } = authority
  return {
    ...authority,
    permissions: permissions.map(({ where, max_uses, ...rest }) => ({
      ...rest,
      ...(where === undefined ? {} : { where: mapped(where, halfBound) }),
      ...(max_uses === undefined ? {} : { max_uses: halfCount(max_uses) }),
    })),
    budget: {
      ...budget,
      ...(budget.calls === undefined ? {} : { calls: halfCount(budget.calls) }),
      ...(budget.cost === undefined ? {} : { cost: mapped(budget.cost, half) }),
      ...(budget.egress_bytes === undefined ? {} : { egress_bytes: Math.floor(budget.egress_bytes / 2) }),
    },
  }
}

type Bound = NonNullable<Authority['permissions'][number]['where']>[string]

/** Half of a maximum that is positive, and stays above the minimum: half of a negative number would be more. */
function halfBound(bound: Bound): Bound {
  const { max, min } = bound
  if (max === undefined || Number(max) <= 0) return bound
  const less = half(max)
  return min !== undefined && Number(less) < Number(min) ? bound : { ...bound, max: less }
}

const halfCount = (count: number) => (count === 0 ? 0 : Math.max(1, Math.floor(count / 2)))

function mapped<T>(record: Readonly<Record<string, T>>, change: (value: T) => T): Record<string, T> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, change(value)]))
}
