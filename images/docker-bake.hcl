# The four images by BuildKit: `make images` sets the variables and calls `docker buildx bake`.
variable "REGISTRY" {
  default = ""
}
variable "VERSION" {
  default = "0.0.0"
}
variable "VARIANT" {
  default = "cpu"
}
variable "REVISION" {
  default = "unknown"
}
variable "SOURCE" {
  default = "unknown"
}
variable "BASE_DIGEST" {
  default = ""
}
# A folder of wheels that no index has. It must exist; one without wheels changes nothing.
variable "WHEELS" {
  default = "locks"
}

group "default" {
  targets = ["control", "train", "assistant", "llm"]
}

target "image" {
  name       = role
  matrix     = { role = ["control", "train", "assistant", "llm"] }
  context    = "."
  dockerfile = "Dockerfile"
  target     = role
  platforms  = ["linux/amd64"]
  contexts   = { wheels = WHEELS }
  tags       = ["${REGISTRY == "" ? "" : "${REGISTRY}/"}tastemaker/${role}:${VERSION}${VARIANT == "cpu" ? "" : "-${VARIANT}"}"]
  args = {
    VARIANT     = VARIANT
    VERSION     = VERSION
    REVISION    = REVISION
    SOURCE      = SOURCE
    BASE_DIGEST = BASE_DIGEST
  }
}
