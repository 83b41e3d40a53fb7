{{/* Peers and ports of NetworkPolicies. A pod's own port counts, not its Service's. */}}

{{/* Pods of this release: (dict "root" $ "parts" (list "gateway")). */}}
{{- define "tastemaker.network.parts" -}}
- podSelector:
    matchLabels:
      app.kubernetes.io/name: tastemaker
      app.kubernetes.io/instance: {{ .root.Release.Name }}
    matchExpressions:
      - {key: app.kubernetes.io/component, operator: In, values: {{ .parts | toJson }}}
{{- end }}

{{- define "tastemaker.network.flowRuns" -}}
- podSelector:
    matchLabels: {tastemaker-flow-run: {{ .Release.Name }}}
{{- end }}

{{- define "tastemaker.network.namespace" -}}
- namespaceSelector:
    matchLabels: {kubernetes.io/metadata.name: {{ . }}}
{{- end }}

{{- define "tastemaker.network.outside" -}}
{{- range .Values.networkPolicy.externalCidrs }}
- ipBlock: {cidr: {{ . }}}
{{- end }}
{{- end }}

{{- define "tastemaker.network.database" -}}
- to: {{- include "tastemaker.network.outside" . | nindent 4 }}
  ports:
    - {protocol: TCP, port: {{ .Values.database.port }}}
{{- end }}

{{- define "tastemaker.network.objectStore" -}}
{{- $host := get (urlParse (include "tastemaker.objectStore.host" .)) "host" }}
{{- $port := regexFind "[0-9]+$" (regexFind ":[0-9]+$" $host) }}
- to:
    {{- if eq .Values.objectStore.preset "external" }}
    {{- include "tastemaker.network.outside" . | nindent 4 }}
    {{- else }}
    {{- include "tastemaker.network.namespace" (.Values.objectStore.namespace | default .Values.objectStore.preset) | nindent 4 }}
    {{- end }}
  ports:
    - {protocol: TCP, port: {{ $port | default (ternary "80" "443" (hasPrefix "http://" (include "tastemaker.objectStore.host" .))) }}}
{{- end }}

{{- define "tastemaker.network.redis" -}}
{{- if .Values.redis.enabled }}
- to: {{- include "tastemaker.network.parts" (dict "root" . "parts" (list "redis")) | nindent 4 }}
  ports:
    - {protocol: TCP, port: 6379}
{{- else }}
- to: {{- include "tastemaker.network.outside" . | nindent 4 }}
  ports:
    - {protocol: TCP, port: {{ regexFind "[0-9]+$" .Values.redis.externalAddress }}}
{{- end }}
{{- end }}

{{/* What the assistant's process reaches, serving the chat or the tools. */}}
{{- define "tastemaker.network.gatewayEgress" -}}
- to: {{- include "tastemaker.network.namespace" .Values.modelServers.namespace | nindent 4 }}
  ports:
    - {protocol: TCP, port: 8080}
    - {protocol: TCP, port: 8000}
- to: {{- include "tastemaker.network.namespace" .Values.modelServers.inferenceGatewayNamespace | nindent 4 }}
{{- include "tastemaker.network.redis" . }}
{{ include "tastemaker.network.database" . }}
{{- include "tastemaker.network.objectStore" . }}
- to: {{- include "tastemaker.network.outside" . | nindent 4 }} # issuer, providers, tools
  ports:
    - {protocol: TCP, port: 443}
{{- if .Values.monitoring.otlpEndpoint }}
- to: {{- include "tastemaker.network.namespace" .Values.monitoring.namespace | nindent 4 }}
  ports:
    - {protocol: TCP, port: 4318}
{{- end }}
{{- end }}

{{- define "tastemaker.network.scrape" -}}
{{- if .root.Values.monitoring.enabled }}
- from: {{- include "tastemaker.network.namespace" .root.Values.monitoring.namespace | nindent 4 }}
  ports:
    - {protocol: TCP, port: {{ .port }}}
{{- end }}
{{- end }}
