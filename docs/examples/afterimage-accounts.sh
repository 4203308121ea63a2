#!/usr/bin/env bash
# An account of its own for each kind of function, with what it needs and no more. Run as an owner; again is harmless.
#
#   afterimage-accounts.sh before PROJECT ORIGINALS_BUCKET DERIVED_BUCKET    ahead of the first deploy
#   afterimage-accounts.sh after PROJECT REGION [MEDIA_READY_TOPIC [QUOTA_ALERT_TOPIC [BUDGET_ALERT_TOPIC]]]   when functions and topics are there
#   afterimage-accounts.sh drive PROJECT KEY                                  where users link a Google Drive; KEY is what DRIVE_KEY names
#
# Between the two, events wait and are delivered later. `before` ends by saying what to write into functions/.env.PROJECT.
set -euo pipefail

MEDIA="media_finalized media_deleted media_archived"
MEDIA_JOBS="media_backfill media_replay media_sweep"
ERASE="user_erase generations_expire"
LEDGER="ledger_output_written ledger_generation_written ledger_object_finalized ledger_object_deleted ledger_object_archived ledger_roll_up rollup campaign_written"
LEDGER_JOBS="ledger_audit ledger_rebuild ledger_close_day ledger_reprice ledger_replay"
ARTIFACTS="artifact_finalized artifact_deleted artifact_archived quota_alert_written budget_alert_written artifacts_cleanup quota_audit"
API_WORK="generate versions_expire"
PUBLICATIONS="publication_marked publications_audit"
CDN="cdn_purge_noted cdn_purge cdn_minutely cdn_usage"
DRIVE="drive_noted drive_work drive_minutely drive_rewrap"
SCHEDULES="nightly_sweep generations_look ledger_nightly artifacts_nightly nightly_publications"

account() { echo "serviceAccount:afterimage-$1@$PROJECT.iam.gserviceaccount.com"; }

# create_account NAME WHAT-IT-IS-FOR
create_account() {
  gcloud iam service-accounts describe "afterimage-$1@$PROJECT.iam.gserviceaccount.com" --project="$PROJECT" >/dev/null 2>&1 ||
    gcloud iam service-accounts create "afterimage-$1" --project="$PROJECT" --display-name="Afterimage: $2"
}

# set_role NAME PERMISSIONS
set_role() {
  local verb=create
  if gcloud iam roles describe "$1" --project="$PROJECT" >/dev/null 2>&1; then verb=update; fi
  gcloud iam roles "$verb" "$1" --project="$PROJECT" --stage=GA --permissions="$2" --quiet
}

in_project() { gcloud projects add-iam-policy-binding "$PROJECT" --member="$(account "$1")" --role="$2" --condition=None --quiet; }
in_bucket() { gcloud storage buckets add-iam-policy-binding "gs://$2" --member="$(account "$1")" --role="projects/$PROJECT/roles/$3"; }
as_itself() { gcloud iam service-accounts add-iam-policy-binding "afterimage-$1@$PROJECT.iam.gserviceaccount.com" --project="$PROJECT" --member="$(account "$1")" --role="$2"; }
with_key() { gcloud kms keys add-iam-policy-binding "$KEY" --project="$PROJECT" --member="$(account "$1")" --role="$2"; }
to_topic() { gcloud pubsub topics add-iam-policy-binding "$2" --project="$PROJECT" --member="$(account "$1")" --role=roles/pubsub.publisher; }

# may_call ACCOUNT FUNCTION...: events and schedules call a function as the account it runs as, and call no other.
may_call() {
  local name=$1
  shift
  for function in "$@"; do
    gcloud functions add-invoker-policy-binding "$function" --project="$PROJECT" --region="$REGION" --member="$(account "$name")"
  done
}

before() {
  create_account media "derives files as they are stored"
  create_account media-jobs "backfill, replay, sweep"
  create_account erase "deletes users, and what dead workers left"
  create_account ledger "keeps the books"
  create_account ledger-jobs "audit, rebuild, close-day, reprice, replay"
  create_account api "serves clients"
  create_account artifacts "takes uploads over, clears away, audits quotas"
  create_account publications "makes files public, takes them back"
  create_account assets "serves published files"
  create_account cdn "makes the network in front forget"
  create_account drive "brings saved files to users' Google Drives"
  create_account schedules "starts nightly jobs"

  # `list` too: without it, asking for a file that is gone is answered `forbidden` instead of `not found`.
  set_role afterimageStamp storage.objects.get,storage.objects.list,storage.objects.update
  set_role afterimageList storage.objects.get,storage.objects.list
  set_role afterimageEmpty storage.objects.list,storage.objects.delete
  set_role afterimageKeep storage.objects.get,storage.objects.list,storage.objects.create,storage.objects.delete
  set_role afterimageDerive storage.objects.list,storage.objects.create,storage.objects.delete

  in_bucket media "$ORIGINALS" afterimageStamp
  in_bucket media "$DERIVED" afterimageDerive
  in_bucket media-jobs "$ORIGINALS" afterimageStamp
  in_bucket media-jobs "$DERIVED" afterimageDerive
  in_bucket erase "$ORIGINALS" afterimageEmpty
  in_bucket erase "$DERIVED" afterimageEmpty
  in_bucket ledger-jobs "$ORIGINALS" afterimageList
  in_bucket artifacts "$ORIGINALS" afterimageKeep
  in_bucket api "$ORIGINALS" afterimageKeep
  in_bucket drive "$ORIGINALS" afterimageList
  # Links to files are signed by IAM in the name of the account itself.
  gcloud iam service-accounts add-iam-policy-binding "afterimage-api@$PROJECT.iam.gserviceaccount.com" --project="$PROJECT" \
    --member="$(account api)" --role=roles/iam.serviceAccountTokenCreator

  in_bucket assets "$ORIGINALS" afterimageList
  in_bucket assets "$DERIVED" afterimageList

  for name in media media-jobs erase ledger ledger-jobs artifacts publications cdn drive; do
    in_project "$name" roles/datastore.user
    in_project "$name" roles/eventarc.eventReceiver
  done
  in_project api roles/datastore.user
  in_project api roles/eventarc.eventReceiver
  # Their tasks call functions as themselves.
  for name in api ledger; do
    in_project "$name" roles/cloudtasks.enqueuer
    as_itself "$name" roles/iam.serviceAccountUser
  done
  in_project assets roles/datastore.viewer
  # Whether an account has a name: those without one share what is done for them in a day.
  for name in media media-jobs ledger; do in_project "$name" roles/firebaseauth.viewer; done
  # Only so are App Check tokens consumed; to verify them alone needs no role.
  in_project api roles/firebaseappcheck.tokenVerifier
  for name in media media-jobs erase ledger ledger-jobs artifacts api publications assets cdn drive schedules; do
    in_project "$name" roles/logging.logWriter
  done

  echo
  echo "Into functions/.env.$PROJECT:"
  for name in media media-jobs erase ledger ledger-jobs artifacts api publications assets cdn drive schedules; do
    echo "$(tr 'a-z-' 'A-Z_' <<<"$name")_ACCOUNT=afterimage-$name"
  done
}

after() {
  may_call media $MEDIA
  may_call media-jobs $MEDIA_JOBS
  may_call erase $ERASE
  may_call ledger $LEDGER
  may_call ledger-jobs $LEDGER_JOBS
  may_call artifacts $ARTIFACTS
  may_call api $API_WORK
  may_call publications $PUBLICATIONS
  may_call cdn $CDN
  may_call drive $DRIVE
  may_call schedules $SCHEDULES

  # A job publishes its next page on its own topic; the schedules start the nightly jobs.
  for topic in media.backfill media.replay media.sweep; do to_topic media-jobs "$topic"; done
  for topic in ledger.audit ledger.rebuild ledger.close-day ledger.reprice ledger.replay; do to_topic ledger-jobs "$topic"; done
  for topic in user.erase generations.expire; do to_topic erase "$topic"; done
  for topic in artifacts.cleanup quota.audit; do to_topic artifacts "$topic"; done
  to_topic publications publications.audit
  to_topic cdn cdn.purge
  for topic in drive.work drive.rewrap; do to_topic drive "$topic"; done
  for topic in media.sweep generations.expire versions.expire ledger.close-day ledger.audit artifacts.cleanup quota.audit publications.audit; do to_topic schedules "$topic"; done
  # Users ask the API to erase them, operators to hand recorded events on once more.
  for topic in versions.expire user.erase media.replay ledger.replay artifacts.cleanup drive.rewrap; do to_topic api "$topic"; done
  if [ -n "$READY" ]; then
    to_topic media "$READY"
    to_topic media-jobs "$READY"
  fi
  for topic in $ALERTS; do to_topic artifacts "$topic"; done
}

# The API seals permissions of users and takes them back, Drive's functions open them and wrap them anew, erasing takes them back.
drive() {
  for name in api drive; do with_key "$name" roles/cloudkms.cryptoKeyEncrypterDecrypter; done
  with_key erase roles/cloudkms.cryptoKeyDecrypter
}

case "${1:-}:$#" in
  before:4) PROJECT=$2 ORIGINALS=$3 DERIVED=$4; before ;;
  after:3 | after:4 | after:5 | after:6) PROJECT=$2 REGION=$3 READY=${4:-} ALERTS="${5:-} ${6:-}"; after ;;
  drive:3) PROJECT=$2 KEY=$3; drive ;;
  *) sed -n '4,6s/^# *//p' "$0" >&2; exit 2 ;;
esac
