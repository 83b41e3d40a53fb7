{{/* The assistant's process: the same pod answers the chat and, scaled apart, the tools. */}}

{{- define "tastemaker.gateway.settings" -}}
{{- $identity := dict "auth" .Values.identity.auth "issuer" .Values.identity.issuer "audience" .Values.identity.audience "jwks_url" .Values.identity.jwksUrl }}
{{- $features := include "tastemaker.features.settings" . | fromYaml }}
{{- $own := dict "identity" $identity "features" $features }}
{{- mergeOverwrite (deepCopy .Values.gateway.settings) $own | toJson }}
{{- end }}

{{- define "tastemaker.gateway.url" -}}
{{- $servers := .root.Values.modelServers }}
{{- $given := index $servers (printf "%sUrl" .model) }}
{{- if $given }}{{ $given }}
{{- else if eq .model "router" }}{{ $servers.inferenceGateway }}/{{ $servers.namespace }}/router
{{- else }}http://{{ .model }}-predictor.{{ $servers.namespace }}.svc.cluster.local
{{- end }}
{{- end }}

{{- define "tastemaker.gateway.template" -}}
{{- $values := .root.Values }}
metadata:
  labels: {{- include "tastemaker.labels" . | nindent 4 }}
  annotations:
    checksum/settings: {{ include "tastemaker.gateway.settings" .root | sha256sum }}
    checksum/models: {{ $values.models | toJson | sha256sum }}
spec: {{- include "tastemaker.pod" . | nindent 2 }}
  terminationGracePeriodSeconds: 60
  containers:
    - name: gateway
      image: {{ include "tastemaker.image" (dict "root" .root "role" "assistant" "digest" $values.image.assistantDigest) }}
      imagePullPolicy: {{ $values.image.pullPolicy }}
      command: [python, -m, tastemaker.assistant.gateway]
      args: {{- include "tastemaker.gateway.args" .root | nindent 8 }}
      env: {{- include "tastemaker.gateway.env" .root | nindent 8 }}
      {{- with $values.gateway.secretName }}
      envFrom:
        - secretRef: {name: {{ . }}}
      {{- end }}
      ports:
        - {name: http, containerPort: 8400}
      # "/" says that the process serves. /healthz is 503 while a model server is down; the page and
      # every turn still answer then, and a pod taken out of the route would not. Alerts watch it.
      {{- include "tastemaker.probes" (dict "path" "/" "port" "http" "startSeconds" 900) | nindent 6 }}
      lifecycle: # no new turn reaches it; those under way end before it is told to stop
        preStop: {sleep: {seconds: 35}}
      securityContext: {{- include "tastemaker.restricted" .root | nindent 8 }}
      resources: {{- toYaml $values.gateway.resources | nindent 8 }}
      volumeMounts: {{- include "tastemaker.scratchMounts" .root | nindent 8 }}
        - {name: models, mountPath: /etc/tastemaker/manifests, readOnly: true}
        {{- include "tastemaker.objectStore.mounts" .root | nindent 8 }}
  volumes: {{- include "tastemaker.scratch" (dict "size" $values.gateway.cacheSize) | nindent 4 }}
    - name: models
      configMap:
        name: {{ .root.Release.Name }}-models
        items:
          {{- range $model, $_ := $values.models }}
          - {key: {{ $model }}.yaml, path: models/{{ $values.environment }}/{{ $model }}.yaml}
          {{- end }}
    {{- include "tastemaker.objectStore.volumes" .root | nindent 4 }}
{{- end }}

{{- define "tastemaker.gateway.args" -}}
- --host=0.0.0.0
- --port=8400
{{- range $model := list "encoder" "retrieval" "recommender" "router" }}
- --{{ $model }}-url={{ include "tastemaker.gateway.url" (dict "root" $ "model" $model) }}
{{- end }}
- --environment={{ .Values.environment }}
- --settings=$(GATEWAY_SETTINGS)
{{- end }}

{{- define "tastemaker.gateway.env" -}}
{{ include "tastemaker.home.env" . }}
- {name: TASTEMAKER_MANIFESTS, value: /etc/tastemaker/manifests}
- name: GATEWAY_SETTINGS
  valueFrom:
    configMapKeyRef: {name: {{ .Release.Name }}-gateway, key: settings.json}
{{ include "tastemaker.features.env" . }}
{{- include "tastemaker.telemetry.env" . }}
{{- end }}
