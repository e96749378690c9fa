"""The images of the bucket: listing, download, and limits that are known without a paid call."""
