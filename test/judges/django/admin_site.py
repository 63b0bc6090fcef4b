"""Django's own admin with its own tables of users and groups, on SQLite: nothing here is an application of ours.

python admin_site.py FOLDER PORT GROUP..., with the password of the service account in ACCOUNT_PASSWORD.
"""

import os
import sys
from pathlib import Path

import django
from django.conf import settings
from django.core.management import call_command

folder, port = Path(sys.argv[1]), sys.argv[2]

settings.configure(
    SECRET_KEY=os.urandom(32).hex(),
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF="admin_site",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": folder / "db.sqlite3"}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    STATIC_URL="static/",
    INSTALLED_APPS=[
        "django.contrib.admin",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django.contrib.messages",
        "django.contrib.staticfiles",
    ],
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
    ],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages",
                ]
            },
        }
    ],
)
django.setup()

from django.contrib import admin  # noqa: E402
from django.urls import path  # noqa: E402

urlpatterns = [path("admin/", admin.site.urls)]

if __name__ == "__main__":
    sys.modules["admin_site"] = sys.modules["__main__"]
    from django.contrib.auth.models import Group, User

    call_command("migrate", verbosity=0)
    User.objects.create_superuser("svc-bailiwick", password=os.environ["ACCOUNT_PASSWORD"])
    for name in sys.argv[3:]:
        Group.objects.create(name=name)
    call_command("runserver", f"127.0.0.1:{port}", use_reloader=False)
