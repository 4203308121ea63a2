"""What an app generated, local first: kept here at once, in the cloud later, and read from where it is."""

from __future__ import annotations

from afterimage_client.repository.ai_repository import CacheTTL, CloudAIRepository
from afterimage_client.repository.cloud_storage_service import CloudStorageAIService
from afterimage_client.repository.firestore_service import FirestoreAIService
from afterimage_client.repository.generations import GenerationHistory, PastGeneration
from afterimage_client.repository.output_cache import CachedAIOutput, OutputCache
from afterimage_client.repository.outputs import ContentType, Dialogue, FileOutput

__all__ = [
    "CacheTTL",
    "CachedAIOutput",
    "CloudAIRepository",
    "CloudStorageAIService",
    "ContentType",
    "Dialogue",
    "FileOutput",
    "FirestoreAIService",
    "GenerationHistory",
    "OutputCache",
    "PastGeneration",
]
