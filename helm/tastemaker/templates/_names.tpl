{{/* Names, labels and images. Most take (dict "root" $ "component" "gateway"). */}}

{{- define "tastemaker.name" -}}
{{ printf "%s-%s" .root.Release.Name .component | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "tastemaker.selector" -}}
app.kubernetes.io/name: tastemaker
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "tastemaker.labels" -}}
{{ include "tastemaker.selector" . }}
app.kubernetes.io/part-of: tastemaker
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{- define "tastemaker.metadata" -}}
name: {{ include "tastemaker.name" . }}
namespace: {{ .root.Release.Namespace }}
labels: {{- include "tastemaker.labels" . | nindent 2 }}
{{- end }}

{{/* One of our own images: (dict "root" $ "role" "assistant" "digest" ...). */}}
{{- define "tastemaker.image" -}}
{{- $image := .root.Values.image }}
{{- $name := printf "%s/tastemaker/%s" $image.registry .role }}
{{- if .digest }}{{ $name }}@{{ .digest }}{{ else }}{{ $name }}:{{ $image.tag | default .root.Chart.AppVersion }}{{ end }}
{{- end }}

{{/* "true" once the four promoted model files are given; some of them alone is a mistake. */}}
{{- define "tastemaker.live" -}}
{{- $models := .Values.models }}
{{- if and $models.encoder $models.retrieval $models.recommender $models.router }}true
{{- else }}
{{- range $name, $text := $models }}
{{- if $text }}{{ fail (printf "models.%s is given, but not all of models.encoder, models.retrieval, models.recommender, models.router: give each promoted model file" $name) }}{{ end }}
{{- end }}
{{- end }}
{{- end }}
