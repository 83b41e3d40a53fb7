{{/* vLLM's arguments. Takes root, port. */}}
{{- define "model.vllmArgs" -}}
{{- $router := .root.Values.router -}}
- --model
- /mnt/models
- --served-model-name
- router
- --host
- 0.0.0.0
- --port
- {{ .port | quote }}
- --uvicorn-log-level
- warning
- --middleware
- tastemaker.serving.bundle_name.OwnBundleName
- --dtype
- {{ $router.dtype }}
- --max-model-len
- {{ $router.maxModelLen | int | quote }}
{{- if $router.enforceEager }}
- --enforce-eager
{{- end }}
{{- if $router.kvCacheBytes }}
- --kv-cache-memory-bytes
- {{ $router.kvCacheBytes | int | quote }}
{{- end }}
{{- if $router.blockSize }}
- --block-size
- {{ $router.blockSize | int | quote }}
{{- end }}
- --enable-mm-embeds
- --limit-mm-per-prompt
- '{"image": {{ $router.maxLists | int }}, "audio": 1}'
- --enable-auto-tool-choice
- --tool-call-parser
- hermes
- --override-generation-config
- '{"temperature": 0.0}'
{{- if $router.tls.enabled }}
- --enable-ssl-refresh
- --ssl-certfile
- {{ $router.tls.path }}/tls.crt
- --ssl-keyfile
- {{ $router.tls.path }}/tls.key
{{- end }}
{{- if $router.lora.adapters }}
- --enable-lora
- --max-lora-rank
- {{ $router.lora.maxRank | quote }}
- --max-loras
- {{ $router.lora.maxLoaded | quote }}
- --lora-modules
{{- range $name, $uri := $router.lora.adapters }}
- {{ $name }}={{ $router.lora.path }}/{{ $name }}
{{- end }}
{{- end }}
{{- if gt (int $router.prefill.replicas) 0 }}
- --kv-transfer-config
- '{"kv_connector": {{ $router.prefill.connector | quote }}, "kv_role": "kv_both"}'
{{- end }}
{{- range .root.Values.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end }}
