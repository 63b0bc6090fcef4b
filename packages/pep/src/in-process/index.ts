export { guarded, ToolDenied } from './guarded.ts'
export {
  type ActingAgent,
  type Decided,
  type GrantOfAgent,
  type ToolGuard,
  type ToolGuardOptions,
  toolGuard,
} from './tool-guard.ts'
