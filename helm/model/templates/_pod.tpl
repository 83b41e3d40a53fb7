{{/* What every pod of a model has beside its container. */}}
{{- define "model.pod" -}}
serviceAccountName: {{ include "model.serviceAccount" . }}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: { type: RuntimeDefault }
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: { tastemaker.io/release: {{ .Release.Name }} }
volumes:
  - name: tmp
    emptyDir: { sizeLimit: 1Gi }
  - name: home
    emptyDir: { sizeLimit: 2Gi }
{{- end }}

{{/* What every container of a model has beside its command. */}}
{{- define "model.container" -}}
image: {{ include "model.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
resources:
  requests: {{- toYaml .Values.resources.requests | nindent 4 }}
  limits: {{- toYaml .Values.resources.limits | nindent 4 }}
    {{- with .Values.accelerator.resource }}
    {{ . }}: {{ $.Values.accelerator.count }}
    {{- end }}
securityContext:
  allowPrivilegeEscalation: false
  privileged: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  runAsUser: 10001
  capabilities: { drop: [ALL] }
  seccompProfile: { type: RuntimeDefault }
{{- end }}

{{/* Environment: the chart's own, then the values', which win. */}}
{{- define "model.env" -}}
{{- range $name, $value := merge (deepCopy .Values.env) (fromYaml (include (printf "model.env.%s" (ternary "router" "kserve" (eq .Values.model "router"))) .)) }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}

{{- define "model.env.kserve" -}}
HOME: /home/tastemaker
HF_HUB_OFFLINE: "1"
OMP_NUM_THREADS: "1"
PYTHONUNBUFFERED: "1"
{{- end }}
