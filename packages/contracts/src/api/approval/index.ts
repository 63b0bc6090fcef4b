import { observeRoutes } from '../observe.ts'
import type { Api, Routes } from '../route.ts'
import { agentRoutes } from './agents.ts'
import { consoleRoutes } from './console.ts'
import { approvalOperatorRoutes } from './operator.ts'
import { passkeyRoutes } from './passkeys.ts'
import { pointRoutes } from './points.ts'

const approvalRoutes = {
  ...observeRoutes,
  ...agentRoutes,
  ...pointRoutes,
  ...passkeyRoutes,
  ...consoleRoutes,
  ...approvalOperatorRoutes,
} satisfies Routes

export const approvalApi: Api = { title: 'Bailiwick approval', routes: approvalRoutes }
