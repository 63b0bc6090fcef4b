import { observeRoutes } from '../observe.ts'
import type { Api, Routes } from '../route.ts'
import { agentRoutes } from './agents.ts'
import { consoleRoutes } from './console.ts'
import { approvalOperatorRoutes } from './operator.ts'
import { passkeyRoutes } from './passkeys.ts'
import { pointRoutes } from './points.ts'
import { workbenchRoutes } from './workbench.ts'

const approvalRoutes = {
  ...observeRoutes,
  ...agentRoutes,
  ...pointRoutes,
  ...passkeyRoutes,
  ...consoleRoutes,
  ...workbenchRoutes,
  ...approvalOperatorRoutes,
} satisfies Routes

export const approvalApi: Api = { title: 'Bailiwick approval', routes: approvalRoutes }
