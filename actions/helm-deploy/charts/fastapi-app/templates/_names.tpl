{{- define "app.name" -}}
{{- default .Release.Name .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "app.selector" -}}
app.kubernetes.io/name: {{ include "app.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "app.labels" -}}
{{ include "app.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "app.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "app.name" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "app.image" -}}
{{- if not .Values.image.repository -}}
{{- fail "image.repository is empty: give helm-deploy an `image` with a digest (repository@sha256:...), or set image.repository and image.digest" -}}
{{- end -}}
{{- if not .Values.image.digest -}}
{{- fail "image.digest is empty: a tag can point to another image tomorrow, so only digests are deployed (sha256:...)" -}}
{{- end -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- end -}}

{{/* The operator turns underscores of a role into hyphens for the secret's name. */}}
{{- define "app.databaseSecret" -}}
{{- $cluster := .Values.database.cluster -}}
{{- printf "%s.%s.credentials.postgresql.acid.zalan.do" (replace "_" "-" $cluster.role) $cluster.name -}}
{{- end -}}

{{- define "app.databaseEnv" -}}
{{- $database := .Values.database -}}
{{- $cluster := $database.cluster -}}
{{- if and $cluster.name $database.secrets.readWrite -}}
{{- fail "database.cluster and database.secrets exclude each other: name the operator's cluster, or secrets that hold whole URLs" -}}
{{- end -}}
{{- if $cluster.name }}
{{- if not (and $cluster.database $cluster.role) }}
{{- fail "database.cluster needs name, database and role" }}
{{- end }}
- name: DATABASE_USER
  valueFrom:
    secretKeyRef:
      name: {{ include "app.databaseSecret" . }}
      key: username
- name: DATABASE_PASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ include "app.databaseSecret" . }}
      key: password
- name: DATABASE_URL
  value: postgresql+asyncpg://$(DATABASE_USER):$(DATABASE_PASSWORD)@{{ $cluster.name }}:5432/{{ $cluster.database }}
- name: DATABASE_URL_RO
  value: postgresql+asyncpg://$(DATABASE_USER):$(DATABASE_PASSWORD)@{{ $cluster.name }}-repl:5432/{{ $cluster.database }}
- name: DATABASE_SSL
  value: {{ $database.ssl | quote }}
{{- else if $database.secrets.readWrite }}
- name: DATABASE_URL
  valueFrom:
    secretKeyRef:
      {{- toYaml $database.secrets.readWrite | nindent 6 }}
- name: DATABASE_URL_RO
  valueFrom:
    secretKeyRef:
      {{- toYaml (default $database.secrets.readWrite $database.secrets.readOnly) | nindent 6 }}
- name: DATABASE_SSL
  value: {{ $database.ssl | quote }}
{{- end }}
{{- end -}}
