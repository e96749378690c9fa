"""Repairs to moto 5.2, by service, so that it answers as AWS does; importing them makes them.

Each is one function whose comment names the fault; where moto has none any more, drop its repair.
"""

from sandbox.aws.moto import core, dynamodb, ec2, iam, rekognition, s3, sqs

__all__ = ["core", "dynamodb", "ec2", "iam", "rekognition", "s3", "sqs"]
