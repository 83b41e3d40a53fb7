{{/* What every pod has in common: restricted, one account of its own, spread over nodes. */}}

{{- define "tastemaker.pod" -}}
serviceAccountName: {{ include "tastemaker.name" . }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "tastemaker.selector" . | nindent 8 }}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .root.Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{- define "tastemaker.restricted" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* Writable folders of a pod with a read-only root: /tmp and the user's home. */}}
{{- define "tastemaker.scratch" -}}
- name: tmp
  emptyDir: {sizeLimit: 2Gi}
- name: user
  emptyDir: {sizeLimit: {{ .size | default "1Gi" }}}
{{- end }}

{{- define "tastemaker.scratchMounts" -}}
- name: tmp
  mountPath: /tmp
- name: user
  mountPath: /home/tastemaker
{{- end }}

{{/* HTTP probes: (dict "path" "/health" "port" "http" "startSeconds" 120). */}}
{{- define "tastemaker.probes" -}}
startupProbe:
  httpGet: {path: {{ .path }}, port: {{ .port }}}
  periodSeconds: 5
  failureThreshold: {{ div .startSeconds 5 }}
readinessProbe:
  httpGet: {path: {{ .path }}, port: {{ .port }}}
  periodSeconds: 5
  timeoutSeconds: 3
livenessProbe:
  httpGet: {path: {{ .path }}, port: {{ .port }}}
  periodSeconds: 20
  timeoutSeconds: 5
  failureThreshold: 5
{{- end }}
