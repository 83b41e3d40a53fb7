{{/* An ExternalSecret that makes the Secret of one name: (dict "root" $ "name" ...). */}}

{{- define "tastemaker.externalSecret" -}}
{{- $store := .root.Values.externalSecrets }}
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "tastemaker.labels" (dict "root" .root "component" "secrets") | nindent 4 }}
spec:
  refreshInterval: {{ $store.refreshInterval }}
  secretStoreRef:
    kind: {{ $store.storeKind }}
    name: {{ required "externalSecrets.storeName is needed where externalSecrets.enabled is true" $store.storeName }}
  target: {name: {{ .name }}}
  dataFrom:
    - extract: {key: {{ printf "%s%s" $store.keyPrefix .name }}}
{{- end }}
