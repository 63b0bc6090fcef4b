export {
  type EmbeddedGrantStoreOptions,
  embeddedGrantStore,
  type GrantStoreEnvironment,
  openGrantStoreEnvironment,
} from './embedded-grant-store.ts'
