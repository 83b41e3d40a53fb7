{{/* The Gateway that routes hang on, and the names that they answer to. */}}

{{- define "tastemaker.route.parents" -}}
parentRefs:
  - name: {{ .Values.route.gatewayName }}
    namespace: {{ .Values.route.gatewayNamespace }}
    {{- with .Values.route.sectionName }}
    sectionName: {{ . }}
    {{- end }}
hostnames: {{- toYaml .Values.route.hostnames | nindent 2 }}
{{- end }}
