"""The project file: anabranch.yaml, read into typed settings."""
