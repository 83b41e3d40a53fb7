{{/* Prefect's worker: arguments, environment, and the one token that it may use. */}}

{{- define "tastemaker.prefect.workerArgs" -}}
- --pool={{ .Values.prefect.workPool }}
- --type={{ .Values.prefect.workerType }}
- --install-policy=never
- --with-healthcheck
{{- if eq .Values.prefect.workerType "kubernetes" }}
- --base-job-template=/etc/prefect/base-job-template.json
{{- end }}
{{- end }}

{{- define "tastemaker.prefect.workerEnv" -}}
{{- if eq .Values.prefect.workerType "kubernetes" }}
{{- include "tastemaker.prefect.env" . }}
- {name: PREFECT_API_URL, value: "http://{{ .Release.Name }}-prefect:4200/api"}
- {name: PREFECT_INTEGRATIONS_KUBERNETES_OBSERVER_NAMESPACES, value: {{ .Release.Namespace }}}
- {name: PREFECT_INTEGRATIONS_KUBERNETES_CLUSTER_UID, value: {{ .Release.Namespace }}} # else it reads kube-system
{{- else }}
{{- range $name, $value := include "tastemaker.flow.env" . | fromYaml }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{ include "tastemaker.flow.secretEnv" . }}
{{- with .Values.objectStore.secretName }}
{{ include "tastemaker.secretVariable" (dict "name" "AWS_ACCESS_KEY_ID" "secret" . "key" "AWS_ACCESS_KEY_ID") }}
{{ include "tastemaker.secretVariable" (dict "name" "AWS_SECRET_ACCESS_KEY" "secret" . "key" "AWS_SECRET_ACCESS_KEY") }}
{{- end }}
{{- end }}
{{- end }}

{{/* No pod mounts a token by itself; the worker's is asked for by name and lasts an hour. */}}
{{- define "tastemaker.prefect.token" -}}
- name: token
  projected:
    sources:
      - serviceAccountToken: {path: token, expirationSeconds: 3607}
      - configMap: {name: kube-root-ca.crt, items: [{key: ca.crt, path: ca.crt}]}
      - downwardAPI:
          items:
            - path: namespace
              fieldRef: {apiVersion: v1, fieldPath: metadata.namespace}
{{- end }}
