"""The law: security rules as source, in areas with versions and cases, and what puts them together.

rules/{firestore,storage}/{area}/v{n}.rules     the text of one version of one area
rules/{firestore,storage}/{area}/v{n}.*.yaml    its cases, in the engine's format
rules/releases.json                             what has shipped: versions, digests, results

python -m rules assemble     firestore.rules and storage.rules from the shipped versions
python -m rules release      ships the newest version of every area, if all cases pass
python -m rules status       which area stands at which version
"""
