{{/* Prefect: what server, worker and flow runs share. */}}

{{- define "tastemaker.prefect.env" -}}
- {name: HOME, value: /home/tastemaker}
- {name: PREFECT_HOME, value: /home/tastemaker/prefect}
- {name: DO_NOT_TRACK, value: "1"}
{{- end }}

{{/* What a flow is told, as a mapping: it starts pipelines and reads results, nothing more. */}}
{{- define "tastemaker.flow.env" -}}
HOME: /home/tastemaker
TASTEMAKER_HOME: {{ .Values.home | quote }}
TASTEMAKER_CACHE: /home/tastemaker/cache
TASTEMAKER_ENVIRONMENT: {{ .Values.environment }}
PREFECT_HOME: /home/tastemaker/prefect
PREFECT_API_URL: http://{{ .Release.Name }}-prefect.{{ .Release.Namespace }}.svc.cluster.local:4200/api
KFP_HOST: {{ .Values.prefect.pipelinesHost | quote }}
{{- if .Values.mlflow.enabled }}
MLFLOW_TRACKING_URI: http://{{ .Release.Name }}-mlflow.{{ .Release.Namespace }}.svc.cluster.local:5000
{{- end }}
AWS_REGION: {{ .Values.objectStore.region }}
{{- with include "tastemaker.objectStore.host" . }}
AWS_ENDPOINT_URL: {{ . | quote }}
{{- end }}
{{- if .Values.objectStore.caSecretName }}
AWS_CA_BUNDLE: /etc/tastemaker/object-store/ca.crt
{{- end }}
DO_NOT_TRACK: "1"
PREFECT_SERVER_ALLOW_EPHEMERAL_MODE: "false"
PYTHONPATH: /opt/tastemaker
{{- end }}

{{/* And what is secret of that: the log of events and turns, and where promotions are pushed to. */}}
{{- define "tastemaker.flow.secretEnv" -}}
{{ include "tastemaker.secretVariable" (dict "name" "TASTEMAKER_DATABASE" "secret" .Values.database.secretName "key" "assistant") }}
{{ include "tastemaker.secretVariable" (dict "name" "TASTEMAKER_GIT" "secret" .Values.prefect.gitSecretName "key" "url") }}
{{ include "tastemaker.secretVariable" (dict "name" "TASTEMAKER_GIT_BRANCH" "secret" .Values.prefect.gitSecretName "key" "branch") }}
{{- end }}

{{/* Prefect's template of a flow run's Job, with this release's image, account and settings. */}}
{{- define "tastemaker.prefect.jobTemplate" -}}
{{- $template := .Files.Get "files/base-job-template.json" | fromJson }}
{{- $variables := $template.variables.properties }}
{{- $pod := $template.job_configuration.job_manifest.spec.template }}
{{- $_ := set $variables.image "default" (include "tastemaker.image" (dict "root" . "role" "control" "digest" .Values.image.controlDigest)) }}
{{- $_ := set $variables.image_pull_policy "default" .Values.image.pullPolicy }}
{{- $_ := set $variables.namespace "default" .Release.Namespace }}
{{- $_ := set $variables.service_account_name "default" (printf "%s-flow-run" .Release.Name) }}
{{- $_ := set $variables.env "default" (include "tastemaker.flow.env" . | fromYaml) }}
{{- $resources := .Values.prefect.resources }}
{{- $_ := set $variables.cpu_request "default" $resources.requests.cpu }}
{{- $_ := set $variables.memory_request "default" $resources.requests.memory }}
{{- $_ := set $variables.cpu_limit "default" $resources.limits.cpu }}
{{- $_ := set $variables.memory_limit "default" $resources.limits.memory }}
{{- $_ := set $pod.metadata.labels "tastemaker-flow-run" .Release.Name }}
{{- $_ := set (index $pod.spec.containers 0) "env" (include "tastemaker.flow.secretEnv" . | fromYamlArray) }}
{{- with .Values.objectStore.secretName }}
{{- $_ := set (index $pod.spec.containers 0) "envFrom" (list (dict "secretRef" (dict "name" .))) }}
{{- end }}
{{- if .Values.objectStore.caSecretName }}
{{- $container := index $pod.spec.containers 0 }}
{{- $_ := set $pod.spec "volumes" (concat $pod.spec.volumes (include "tastemaker.objectStore.volumes" . | fromYamlArray)) }}
{{- $_ := set $container "volumeMounts" (concat $container.volumeMounts (include "tastemaker.objectStore.mounts" . | fromYamlArray)) }}
{{- end }}
{{- $template | toPrettyJson }}
{{- end }}
