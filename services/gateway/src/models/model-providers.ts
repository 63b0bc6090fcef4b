import { Served } from '../served.ts'
import type { ModelProvider } from './model-provider.ts'
import type { ModelsEntry } from './models-entry.ts'

/** The providers of models of the file that is in use. */
export class ModelProviders extends Served<ModelsEntry, ModelProvider> {}
