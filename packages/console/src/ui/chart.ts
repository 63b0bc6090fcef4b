import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import type { Activity } from '../types.ts'

const height = 180

/** Allowed actions on top of denied ones, for each hour. Redraws when the width or the colours change. */
export function drawActivity(
  place: HTMLElement,
  { from, hours }: Pick<Activity, 'from' | 'hours'>,
  agents: Activity['agents'],
): { destroy(): void } {
  const begin = Date.parse(from) / 1000
  const times = Array.from({ length: hours }, (_, hour) => begin + hour * 3600)
  const total = (of: 'allowed' | 'denied') =>
    times.map((_, hour) => agents.reduce((count, one) => count + (one[of][hour] ?? 0), 0))
  const denied = total('denied')
  const both = total('allowed').map((count, hour) => count + (denied[hour] ?? 0))
  const bars = uPlot.paths.bars?.({ size: [0.8, 40], align: 1 })

  let chart: uPlot | undefined
  const draw = () => {
    chart?.destroy()
    const css = getComputedStyle(place)
    const color = (name: string) => css.getPropertyValue(name).trim()
    const axis = { stroke: color('--ink-2'), grid: { stroke: color('--line'), width: 1 }, ticks: { show: false } }
    const series = (label: string, fill: string) => ({
      label,
      fill: color(fill),
      stroke: color(fill),
      width: 0,
      points: { show: false },
      ...(bars === undefined ? {} : { paths: bars }),
    })
    chart = new uPlot(
      {
        width: place.clientWidth,
        height,
        legend: { show: false },
        cursor: { show: false },
        // The last hour has its width, too.
        scales: {
          x: { time: true, range: () => [begin, begin + hours * 3600] },
          y: { range: (_, __, most) => [0, Math.max(5, Math.ceil(most * 1.1))] },
        },
        axes: [axis, { ...axis, size: 44, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000, 10_000, 100_000] }],
        series: [{}, series('Allowed', '--good-line'), series('Denied', '--bad-line')],
      },
      [times, both, denied],
      place,
    )
  }
  draw()
  let width = place.clientWidth
  const watch = new ResizeObserver(() => {
    if (place.clientWidth === width || place.clientWidth === 0) return
    width = place.clientWidth
    chart?.setSize({ width, height })
  })
  watch.observe(place)
  const scheme = matchMedia('(prefers-color-scheme: dark)')
  scheme.addEventListener('change', draw)
  return {
    destroy() {
      watch.disconnect()
      scheme.removeEventListener('change', draw)
      chart?.destroy()
    },
  }
}
