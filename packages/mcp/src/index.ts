export { declaredMapping, type Mapped } from './declared-mapping.ts'
export { eventWith, readEvents, type StreamEvent } from './event-stream.ts'
export { checkParameters, encodeFieldValue, fieldsOfRequest } from './headers.ts'
export { addElements, changeMembers, memberSpan, type Span } from './json-spans.ts'
export {
  type Era,
  isId,
  isObject,
  type JsonObject,
  legacyVersions,
  type Message,
  metaOf,
  modernVersion,
  readMessage,
} from './message.ts'
export { type Mapping, mappingOf, namedBy } from './methods.ts'
export { answerAction, type McpRequest, mcpAction, type Received, readReceived } from './received.ts'
export { refusalOf } from './refusal.ts'
export { type AskedBack, askedBack } from './rounds.ts'
export { isReserved, showList, usableTools } from './shown-list.ts'
export {
  mayBeTask,
  type TaskState,
  taskAsked,
  taskBegun,
  tasksExtension,
  taskTold,
} from './tasks.ts'
export { toolAction } from './to-action.ts'
