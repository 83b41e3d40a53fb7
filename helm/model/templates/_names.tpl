{{- define "model.labels" -}}
app.kubernetes.io/name: {{ .Values.model }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/part-of: tastemaker
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* Labels of pods that policies and monitors select; KServe passes them on. */}}
{{- define "model.podLabels" -}}
tastemaker.io/model: {{ .root.Values.model }}
tastemaker.io/release: {{ .root.Release.Name }}
tastemaker.io/track: {{ .track }}
tastemaker.io/bundle: {{ .bundle | quote }}
{{- end }}

{{- define "model.annotations" -}}
tastemaker.io/bundle: {{ .bundle | quote }}
tastemaker.io/dataset: {{ .root.Values.dataset | quote }}
tastemaker.io/space: {{ .root.Values.space | quote }}
{{- end }}

{{- define "model.serviceAccount" -}}
{{ .Values.serviceAccount.name | default .Release.Name }}
{{- end }}

{{- define "model.image" -}}
{{- with .Values.image -}}
{{- if .registry }}{{ .registry }}/{{ end }}{{ .repository }}{{ if .tag }}:{{ .tag }}{{ end }}{{ if .digest }}@{{ .digest }}{{ end }}
{{- end -}}
{{- end }}

{{- define "model.port" -}}
{{ if eq .Values.model "router" }}{{ .Values.router.port }}{{ else }}8080{{ end }}
{{- end }}
