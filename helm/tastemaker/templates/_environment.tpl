{{/* Environment variables that several pods share, and where they come from. */}}

{{- define "tastemaker.secretVariable" -}}
- name: {{ .name }}
  valueFrom:
    secretKeyRef: {name: {{ .secret }}, key: {{ .key }}}
{{- end }}

{{- define "tastemaker.objectStore.host" -}}
{{- $store := .Values.objectStore }}
{{- $namespace := $store.namespace | default $store.preset }}
{{- if $store.endpoint }}{{ $store.endpoint }}
{{- else if eq $store.preset "seaweedfs" }}http://seaweedfs-s3.{{ $namespace }}.svc.cluster.local:8333
{{- else if eq $store.preset "minio" }}http://minio.{{ $namespace }}.svc.cluster.local:9000
{{- end }}
{{- end }}

{{- define "tastemaker.objectStore.addressing" -}}
{{- $chosen := .Values.objectStore.addressing }}
{{- if ne $chosen "auto" }}{{ $chosen }}{{ else if include "tastemaker.objectStore.host" . }}path{{ else }}auto{{ end }}
{{- end }}

{{- define "tastemaker.objectStore.env" -}}
{{- $store := .Values.objectStore }}
- {name: AWS_REGION, value: {{ $store.region }}}
- {name: AWS_DEFAULT_REGION, value: {{ $store.region }}}
{{- with include "tastemaker.objectStore.host" . }}
- {name: AWS_ENDPOINT_URL, value: {{ . | quote }}}
{{- end }}
{{- with $store.secretName }}
{{ include "tastemaker.secretVariable" (dict "name" "AWS_ACCESS_KEY_ID" "secret" . "key" "AWS_ACCESS_KEY_ID") }}
{{ include "tastemaker.secretVariable" (dict "name" "AWS_SECRET_ACCESS_KEY" "secret" . "key" "AWS_SECRET_ACCESS_KEY") }}
{{- end }}
{{- if $store.caSecretName }}
- {name: AWS_CA_BUNDLE, value: /etc/tastemaker/object-store/ca.crt}
{{- end }}
{{- end }}

{{- define "tastemaker.objectStore.mounts" -}}
{{- if .Values.objectStore.caSecretName }}
- name: object-store-ca
  mountPath: /etc/tastemaker/object-store
  readOnly: true
{{- end }}
{{- end }}

{{- define "tastemaker.objectStore.volumes" -}}
{{- with .Values.objectStore.caSecretName }}
- name: object-store-ca
  secret: {secretName: {{ . }}, items: [{key: ca.crt, path: ca.crt}]}
{{- end }}
{{- end }}

{{/* The home, for pods that open it. */}}
{{- define "tastemaker.home.env" -}}
- {name: TASTEMAKER_HOME, value: {{ .Values.home | quote }}}
- {name: TASTEMAKER_CACHE, value: /home/tastemaker/cache}
- {name: HOME, value: /home/tastemaker}
{{ include "tastemaker.objectStore.env" . }}
{{ include "tastemaker.secretVariable" (dict "name" "TASTEMAKER_DATABASE" "secret" .Values.database.secretName "key" "assistant") }}
{{- end }}

{{/* Online store and registry of the features; the names are those in the settings. */}}
{{- define "tastemaker.features.env" -}}
{{ include "tastemaker.secretVariable" (dict "name" "REDIS_PASSWORD" "secret" .Values.redis.secretName "key" "password") }}
{{ include "tastemaker.secretVariable" (dict "name" "FEATURE_REGISTRY_URL" "secret" .Values.database.secretName "key" "features") }}
{{- end }}

{{- define "tastemaker.redis.address" -}}
{{- if .Values.redis.enabled }}{{ .Release.Name }}-redis:6379
{{- else }}{{ required "redis.externalAddress is needed where redis.enabled is false" .Values.redis.externalAddress }}{{ if .Values.redis.externalTls }},ssl=true{{ end }}
{{- end }}
{{- end }}

{{/* What the features are told everywhere: platform/tastemaker/features/config.py. */}}
{{- define "tastemaker.features.settings" -}}
online: redis
redis_url: {{ include "tastemaker.redis.address" . | quote }}
redis_password_env: REDIS_PASSWORD
registry: sql
registry_url_env: FEATURE_REGISTRY_URL
{{- end }}

{{- define "tastemaker.telemetry.env" -}}
{{- with .Values.monitoring.otlpEndpoint }}
- {name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ . | quote }}}
{{- end }}
{{- end }}
