# The image for two architectures, with annotations, provenance and SBOM:
#   TAG=registry.example/bailiwick:0.1.0 REVISION=$(git rev-parse HEAD) docker buildx bake --push
# Needs a BuildKit builder (docker buildx create --use) and, for the architecture that the machine is not, QEMU's binfmt handlers.
variable "TAG" {
  default = "bailiwick:0.1.0"
}

variable "VERSION" {
  default = "0.1.0"
}

variable "REVISION" {
  default = "unknown"
}

# With its digest in a release: node:26.10.0-bookworm-slim@sha256:…
variable "NODE" {
  default = "node:26.10.0-bookworm-slim"
}

# Where the publisher's sources are; empty: no such annotation.
variable "SOURCE" {
  default = ""
}

target "default" {
  context   = "."
  platforms = ["linux/amd64", "linux/arm64"]
  tags      = [TAG]
  args = {
    NODE     = NODE
    VERSION  = VERSION
    REVISION = REVISION
  }
  labels = { for name, value in { "org.opencontainers.image.source" = SOURCE } : name => value if value != "" }
  # On the index and on each image, where registries look; labels are in the image's configuration.
  annotations = compact([
    "index,manifest:org.opencontainers.image.title=Bailiwick",
    "index,manifest:org.opencontainers.image.licenses=Apache-2.0",
    "index,manifest:org.opencontainers.image.version=${VERSION}",
    "index,manifest:org.opencontainers.image.revision=${REVISION}",
    "index,manifest:org.opencontainers.image.base.name=${NODE}",
    SOURCE == "" ? "" : "index,manifest:org.opencontainers.image.source=${SOURCE}",
  ])
  attest = ["type=provenance,mode=max", "type=sbom"]
}
