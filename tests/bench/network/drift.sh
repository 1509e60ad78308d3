# Looks for drift in a stack by the AWS CLI: `drift.sh STACK AWS...`, the words after the stack's name
# being what the CLI is called by.
set -eu
stack=$1
shift
id=$("$@" cloudformation detect-stack-drift --stack-name "$stack" \
  --query StackDriftDetectionId --output text)
status() {
  "$@" cloudformation describe-stack-drift-detection-status --stack-drift-detection-id "$id" \
    --query DetectionStatus --output text
}
while [ "$(status "$@")" = DETECTION_IN_PROGRESS ]; do
  sleep 1
done
"$@" cloudformation describe-stack-resource-drifts --stack-name "$stack" \
  --stack-resource-drift-status-filters MODIFIED DELETED
