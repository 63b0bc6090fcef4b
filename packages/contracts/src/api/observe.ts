import { z } from 'zod'
import type { Routes } from './route.ts'

/** Routes that every server has. */
export const observeRoutes = {
  isLive: {
    method: 'GET',
    path: '/healthz',
    summary: 'Whether the process works; 503 with the reasons if not',
    on: 'both',
    answer: z.object({ status: z.literal('live') }),
  },
  isReady: {
    method: 'GET',
    path: '/readyz',
    summary: 'Whether this instance can answer; 503 with the reasons if not',
    on: 'both',
    answer: z.object({ status: z.literal('ready') }),
  },
  readMetrics: {
    method: 'GET',
    path: '/metrics',
    summary: 'Metrics in the text format of Prometheus; for callers on this machine unless the settings say otherwise',
    on: 'both',
    gives: 'text/plain',
  },
} as const satisfies Routes
